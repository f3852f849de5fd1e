<?php

declare(strict_types=1);

use Illuminate\Support\Facades\Artisan;
use Illuminate\Support\Facades\Schedule;
use Stockade\Laravel\Jobs\RelayEvents;

// Turns the engine's events into Laravel's, on the queue.
Schedule::job(new RelayEvents())->everySecond();

Artisan::command('test', function (): int {
    passthru(escapeshellarg(PHP_BINARY) . ' ' . escapeshellarg(base_path('vendor/bin/phpunit')), $code);
    return $code;
})->purpose('Run the tests');
