<?php

declare(strict_types=1);

namespace Stockade\Laravel\Console;

use Illuminate\Console\Command;
use Stockade\Client;

/** For an engine that does not sweep by itself, such as one of each php-fpm worker. */
final class SweepCommand extends Command
{
    protected $signature = 'stockade:sweep';
    protected $description = 'Expire due holds and unpaid orders now';

    public function handle(Client $client): int
    {
        $report = $client->sweep();
        $this->line("{$report->holdsExpired} holds expired, {$report->ordersCancelled} orders cancelled");
        return self::SUCCESS;
    }
}
