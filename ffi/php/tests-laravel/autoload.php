<?php

declare(strict_types=1);

require_once 'Illuminate/autoload.php';
require_once __DIR__ . '/../autoload.php';

spl_autoload_register(static function (string $class): void {
    $folders = ['Stockade\\Tests\\Laravel\\' => __DIR__, 'Stockade\\Tests\\' => __DIR__ . '/../tests'];
    foreach ($folders as $prefix => $folder) {
        $file = "{$folder}/" . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require_once $file;
            return;
        }
    }
});
