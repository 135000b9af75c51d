<?php
// One connection a request; what goes wrong is said with its own status.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
try {
    $db = new mysqli(getenv('DATABASE_HOST'), getenv('DATABASE_USER'), getenv('DATABASE_PASSWORD'), getenv('DATABASE_NAME'));
    $db->set_charset('utf8mb4');
    $rows = $db->query('SELECT titulo, autora, sala FROM obras ORDER BY id')->fetch_all(MYSQLI_ASSOC);
} catch (mysqli_sql_exception $error) {
    http_response_code(500);
    exit('La base de datos no responde.');
}
?>
<!DOCTYPE html>
<html lang="es">
<head><meta charset="utf-8"><title>Obras del museo</title></head>
<body>
<h1>Obras del museo</h1>
<ul>
<?php foreach ($rows as $row): ?>
  <li><b><?= htmlspecialchars($row['titulo']) ?></b>, de <?= htmlspecialchars($row['autora']) ?> (sala <?= htmlspecialchars($row['sala']) ?>)</li>
<?php endforeach ?>
</ul>
</body>
</html>
