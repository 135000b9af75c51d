CREATE TABLE products (name text);
INSERT INTO products VALUES ('mate'), ('yerba');
