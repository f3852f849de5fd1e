<?php

declare(strict_types=1);

require_once __DIR__ . '/../autoload.php';

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Stockade\\Tests\\')) {
        require_once __DIR__ . '/' . substr($class, 15) . '.php';
    }
});

foreach (['STOCKADE_LIBRARY', 'STOCKADE_SERVER', 'STOCKADE_TEST_MARIADB', 'STOCKADE_TEST_REDIS'] as $name) {
    if ((string) getenv($name) === '') {
        fwrite(STDERR, "{$name} is not set: run these tests by `make ffi`\n");
        exit(1);
    }
}
