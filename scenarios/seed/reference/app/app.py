from flask import Flask
from markupsafe import escape
import pymysql

app = Flask(__name__)


def leer_aves():
    conexion = pymysql.connect(
        host="db",
        port=3306,
        user="root",
        password="distribuidos",
        database="reserva",
        charset="utf8mb4",
        connect_timeout=5,
    )
    try:
        with conexion.cursor() as cursor:
            cursor.execute("SELECT nombre, lugar FROM aves ORDER BY id")
            return cursor.fetchall()
    finally:
        conexion.close()


@app.route("/")
def inicio():
    filas = "\n".join(
        f"<tr><td>{escape(nombre)}</td><td>{escape(lugar)}</td></tr>"
        for nombre, lugar in leer_aves()
    )
    return f"<h1>Aves de la reserva</h1>\n<table>\n{filas}\n</table>\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
