//! Submissions for tests: files on disk, read as any submission is.

use tempfile::TempDir;

use crate::submission::{ReadOptions, Submission, read};

/// A submission of these files; it goes with the folder.
pub(crate) struct Files {
    _folder: TempDir,
    pub(crate) submission: Submission,
}

/// An app that is built, and a database that is given its SQL.
pub(crate) const COMPOSE: &str = "\
version: \"2.4\"
services:
  app:
    build: ./app
    environment:
      DB_HOST: bd
    ports:
      - \"5000:5000\"
    mem_limit: 10m
  db:
    image: mysql:5.7
    volumes:
      - ./db:/docker-entrypoint-initdb.d
";
pub(crate) const DOCKERFILE: &str = "\
FROM python:3.6
EXPOSE 5000
WORKDIR /app

COPY requirements.txt .
RUN pip install \\
    -r requirements.txt
COPY app.py .
COPY lib lib
CMD [\"python\", \"app.py\"]
";
pub(crate) const APP: &str = "\
import pymysql
from flask import Flask

# host=\"192.168.1.20\" was the old one
AVES = [
    (\"Barranquero\", \"Quebrada\"),
    (\"Gallito de roca\", \"Cañón\"),
]


def leer():
    return pymysql.connect(
        host=\"192.168.1.20\", password=\"x\")


if __name__ == \"__main__\":
    raise SystemExit(\"falta la variable CLAVE\")
";
pub(crate) const SQL: &str = "\
CREATE DATABASE reserva;
USE reserva;
-- CREATE TABLE aves was once smaller
CREATE TABLE IF NOT EXISTS `reserva`.`aves` (id INT, nombre TEXT);
INSERT INTO aves VALUES (1, 'Barranquero'),
  (2, 'Gallito de roca');
";

impl Files {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let submission = read(folder.path(), &ReadOptions::default()).unwrap();
        Self { _folder: folder, submission }
    }

    /// The usual app and database, with `more` in place of or beside their files.
    pub(crate) fn usual(more: &[(&str, &str)]) -> Self {
        let mut files = vec![
            ("docker-compose.yml", COMPOSE),
            ("app/Dockerfile", DOCKERFILE),
            ("app/app.py", APP),
            ("app/lib/datos.py", "def f():\n    return 1 / 0\n"),
            ("app/requirements.txt", "Flask\nPyMySQL==0.9.3\n"),
            ("db/init.sql", SQL),
        ];
        files.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        files.extend(more);
        Self::of(&files)
    }
}
