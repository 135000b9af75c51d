from flask import Flask, redirect, request
from markupsafe import escape
import pymysql

app = Flask(__name__)


def conectar():
    return pymysql.connect(
        host="db",
        port=3306,
        user="root",
        password="cuaderno",
        database="bitacora",
        charset="utf8mb4",
        connect_timeout=3,
    )


def leer():
    conexion = conectar()
    try:
        with conexion.cursor() as cursor:
            cursor.execute("SELECT texto FROM notas ORDER BY id")
            return [texto for (texto,) in cursor.fetchall()]
    finally:
        conexion.close()


def escribir(texto):
    conexion = conectar()
    try:
        with conexion.cursor() as cursor:
            cursor.execute("INSERT INTO notas (texto) VALUES (%s)", (texto,))
        conexion.commit()
    finally:
        conexion.close()


@app.route("/", methods=["GET"])
def inicio():
    filas = "\n".join(f"<li>{escape(texto)}</li>" for texto in leer())
    formulario = '<form method="post" action="/notas"><input name="texto"><button>Anotar</button></form>'
    return f"<h1>Bitácora de campo</h1>\n{formulario}\n<ul>\n{filas}\n</ul>\n"


@app.route("/notas", methods=["POST"])
def anotar():
    escribir(request.form["texto"])
    return redirect("/", code=303)


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000, threaded=True)
