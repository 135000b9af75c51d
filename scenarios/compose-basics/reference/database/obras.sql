SET NAMES utf8mb4;

CREATE TABLE obras (
  id INT AUTO_INCREMENT PRIMARY KEY,
  titulo VARCHAR(80) NOT NULL,
  autora VARCHAR(60) NOT NULL,
  sala VARCHAR(20) NOT NULL
) DEFAULT CHARSET = utf8mb4;

INSERT INTO obras (titulo, autora, sala) VALUES
  ('Los tejedores de viento', 'Inés Quiroga', 'norte'),
  ('Río con tres orillas', 'Amparo Lucumí', 'sur'),
  ('Señal a medianoche', 'Berta Zuluaga', 'norte');
