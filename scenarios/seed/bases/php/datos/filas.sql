SET NAMES utf8mb4;

INSERT INTO autoras (id, nombre) VALUES
  (1, 'Soledad Acosta'),
  (2, 'Elisa Mújica'),
  (3, 'Albalucía Ángel');

INSERT INTO libros (titulo, anio, autora_id) VALUES
  ('Los piratas en Cartagena', 1886, 1),
  ('Catalina', 1963, 2),
  ('Bogotá de las nubes', 1984, 2),
  ('Misiá señora', 1982, 3);
