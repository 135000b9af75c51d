SET NAMES utf8mb4;

CREATE DATABASE reserva CHARACTER SET utf8mb4;
USE reserva;

CREATE TABLE aves (
  id INT AUTO_INCREMENT PRIMARY KEY,
  nombre VARCHAR(60) NOT NULL,
  lugar VARCHAR(60) NOT NULL
);

INSERT INTO aves (nombre, lugar) VALUES
  ('Barranquero coronado', 'Quebrada El Cañizo'),
  ('Cóndor de los Andes', 'Páramo de Las Hermosas'),
  ('Tángara multicolor', 'Farallones & San Antonio'),
  ('Colibrí "pico de hoz"', 'Vereda Peñas Blancas'),
  ('Gallito de roca', 'Cañón del Río Melénguez');
