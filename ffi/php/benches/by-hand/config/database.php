<?php

declare(strict_types=1);

// What differs from Laravel's own: a worker keeps its connection, and a statement is one
// round trip instead of two.
return [
    'connections' => [
        'mysql' => [
            'driver' => 'mysql',
            'host' => env('DB_HOST', '127.0.0.1'),
            'port' => env('DB_PORT', '3306'),
            'database' => env('DB_DATABASE', 'shop'),
            'username' => env('DB_USERNAME', 'root'),
            'password' => env('DB_PASSWORD', ''),
            'charset' => 'utf8mb4',
            'collation' => 'utf8mb4_unicode_ci',
            'prefix' => '',
            'strict' => true,
            'isolation_level' => 'READ COMMITTED',
            'options' => [PDO::ATTR_PERSISTENT => true, PDO::ATTR_EMULATE_PREPARES => true],
        ],
    ],
];
