<?php

declare(strict_types=1);

namespace Stockade\Laravel\Console;

use Illuminate\Console\Command;
use Illuminate\Contracts\Container\Container;
use Stockade\Client;
use Stockade\Exception\StockadeException;

/** Copies the configuration and tells what is missing before the first hold. */
final class InstallCommand extends Command
{
    protected $signature = 'stockade:install {--force : Overwrite a configuration that is there}';
    protected $description = 'Copy config/stockade.php and check that the engine is reachable';

    public function handle(Container $app): int
    {
        $this->call('vendor:publish', ['--tag' => 'stockade-config', '--force' => $this->option('force')]);
        if (config('stockade.webhook.secret') === '' && !config('stockade.webhook.unsigned')) {
            $this->warn('Set STOCKADE_WEBHOOK_SECRET: until then all payment events are rejected.');
        }
        $this->line('Run `php artisan migrate` for the table of the events\' cursor.');
        try {
            $app->make(Client::class)->ping();
        } catch (StockadeException $error) {
            $this->error("The engine is not reachable, check STOCKADE_STORE: {$error->getMessage()}");
            return self::FAILURE;
        }
        $this->info('The engine is reachable.');
        return self::SUCCESS;
    }
}
