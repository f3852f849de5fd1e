<?php

declare(strict_types=1);

// For opcache.preload: compiles the classes, so that they may use FFI where
// ffi.enable is "preload", and loads the library where ffi.preload did not.

use Stockade\Native\Library;

require_once __DIR__ . '/autoload.php';

$folders = ['', 'Native/', 'Exception/'];
foreach ($folders as $folder) {
    foreach (glob(__DIR__ . "/src/{$folder}*.php") as $file) {
        $class = 'Stockade\\' . strtr($folder, '/', '\\') . basename($file, '.php');
        class_exists($class);
    }
}
if ((string) ini_get('ffi.preload') === '') {
    Library::preload();
}
