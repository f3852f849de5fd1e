<?php

declare(strict_types=1);

return [
    // Where stock is kept: sqlite:FILE, sqlite::memory: or mysql://USER@HOST/DATABASE;
    // or a running engine that has it: unix:///SOCKET or http://:KEY@HOST:PORT.
    'store' => env('STOCKADE_STORE', 'sqlite:shop.db'),

    // http, ffi or fake; null for the one that the store needs.
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

    'webhook' => [
        // The route of payment events; null for none.
        'path' => env('STOCKADE_WEBHOOK_PATH', 'stockade/webhook'),
        // The secret of its signatures, or several separated by commas.
        'secret' => env('STOCKADE_WEBHOOK_SECRET', ''),
        // Accepts unsigned events where no secret is set: for development only.
        'unsigned' => (bool) env('STOCKADE_WEBHOOK_UNSIGNED', false),
        // A running server that takes the webhooks of payment providers, which get the route
        // PATH/{provider}: http://HOST:PORT, or unix:///SOCKET of its setting unix_http; null for no route.
        'forward_to' => env('STOCKADE_WEBHOOK_FORWARD_TO'),
        // More middleware of both routes, such as 'throttle:600,1'.
        'middleware' => [],
    ],

    'events' => [
        // The database connection that has the cursor; null for the default.
        'connection' => env('STOCKADE_EVENTS_CONNECTION'),
        // The name of the cursor: applications that share a database and an engine have one each.
        'cursor' => env('STOCKADE_EVENTS_CURSOR', 'laravel'),
        // How many events are dispatched in one transaction.
        'batch' => 100,
        // The queue of the job that dispatches them; null for the default.
        'queue' => env('STOCKADE_EVENTS_QUEUE'),
    ],

    // Whether Laravel's health route (/up) also asks the engine.
    'health' => true,

    // Whether the exceptions of calls are rendered as problem documents with their status,
    // for requests that expect JSON and those below api/.
    'render_errors' => true,
];
