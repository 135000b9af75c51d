<?php
$bd = new mysqli(getenv('BD_HOST'), getenv('BD_USUARIO'), getenv('BD_CLAVE'), getenv('BD_NOMBRE'), 3306);
$bd->set_charset('utf8mb4');
$libros = $bd->query(
    'SELECT l.titulo, l.anio, a.nombre FROM libros l JOIN autoras a ON a.id = l.autora_id ORDER BY l.id'
);
?>
<!DOCTYPE html>
<html lang="es">
<head><meta charset="utf-8"><title>Biblioteca del barrio</title></head>
<body>
<h1>Biblioteca del barrio</h1>
<dl>
<?php foreach ($libros as $libro): ?>
  <dt><?= htmlspecialchars($libro['titulo']) ?> (<?= $libro['anio'] ?>)</dt>
  <dd><?= htmlspecialchars($libro['nombre']) ?></dd>
<?php endforeach ?>
</dl>
</body>
</html>
