<?php

declare(strict_types=1);

return [
    // Where stock is kept: sqlite:FILE, sqlite::memory: or mysql://USER@HOST/DATABASE;
    // or a running engine that has it: unix:///SOCKET or http://:KEY@HOST:PORT.
    'store' => env('STOCKADE_STORE', 'sqlite:shop.db'),

    // http or ffi; null for the one that the store needs.
    'driver' => env('STOCKADE_DRIVER'),

    // The shared library of the driver ffi; null to look for it beside the package and in the system.
    'library' => env('STOCKADE_LIBRARY'),

    // One engine for a worker's life (true), or one for each request.
    'shared' => true,

    // Any other setting of the engine by its name, such as 'hold_ttl' => '60s'.
    // A running engine has its own.
    'settings' => [
        'redis' => env('STOCKADE_REDIS', ''),
    ],
];
