<?php

declare(strict_types=1);

foreach (['STOCKADE_LARAVEL', 'STOCKADE_SERVER', 'STOCKADE_TEST_MYSQL', 'STOCKADE_TEST_REDIS'] as $name) {
    if ((string) getenv($name) === '') {
        fwrite(STDERR, "{$name} is not set: run these tests by `make laravel`\n");
        exit(1);
    }
}

require_once __DIR__ . '/autoload.php';
