SET NAMES utf8mb4;

CREATE DATABASE costa CHARACTER SET utf8mb4;
USE costa;

CREATE TABLE faros (
  id INT AUTO_INCREMENT PRIMARY KEY,
  nombre VARCHAR(60) NOT NULL,
  lugar VARCHAR(60) NOT NULL,
  alcance INT NOT NULL
);

INSERT INTO faros (nombre, lugar, alcance) VALUES
  ('Faro de Peñas Negras', 'Bahía del Ñato', 18),
  ('Faro del Cabo Rendido', 'Punta "La Quilla"', 24),
  ('Faro San Telmo', 'Isla Cangrejal & Cayos', 15),
  ('Faro de la Ensenada', 'Ensenada de Utría Vieja', 21);
