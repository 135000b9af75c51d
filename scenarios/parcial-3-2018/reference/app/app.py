from flask import Flask
from markupsafe import escape
import pymysql

app = Flask(__name__)


def leer_faros():
    conexion = pymysql.connect(
        host="db",
        port=3306,
        user="root",
        password="distribuidos",
        database="costa",
        charset="utf8mb4",
        connect_timeout=5,
    )
    try:
        with conexion.cursor() as cursor:
            cursor.execute("SELECT nombre, lugar, alcance FROM faros ORDER BY id")
            return cursor.fetchall()
    finally:
        conexion.close()


@app.route("/")
def inicio():
    filas = "\n".join(
        f"<tr><td>{escape(nombre)}</td><td>{escape(lugar)}</td><td>{alcance} millas</td></tr>"
        for nombre, lugar, alcance in leer_faros()
    )
    return f"<h1>Faros de la costa</h1>\n<table>\n{filas}\n</table>\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
