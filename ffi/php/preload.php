<?php

declare(strict_types=1);

// For opcache.preload: compiles the classes, so that they may use FFI where
// ffi.enable is "preload". The library is loaded by ffi.preload.

require_once __DIR__ . '/autoload.php';

$folders = ['', 'Client/', 'Exception/', 'Input/', 'Native/'];
foreach ($folders as $folder) {
    foreach (glob(__DIR__ . "/src/{$folder}*.php") as $file) {
        $class = 'Stockade\\' . strtr($folder, '/', '\\') . basename($file, '.php');
        class_exists($class);
    }
}
