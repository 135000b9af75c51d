SET NAMES utf8mb4;

CREATE DATABASE bitacora CHARACTER SET utf8mb4;
USE bitacora;

CREATE TABLE notas (
  id INT AUTO_INCREMENT PRIMARY KEY,
  texto VARCHAR(120) NOT NULL
);

INSERT INTO notas (texto) VALUES
  ('Salida a las cinco por la trocha del Mirador'),
  ('Nido de mochuelo en el yarumo caído'),
  ('Se acabó la tinta: sigue a lápiz');
