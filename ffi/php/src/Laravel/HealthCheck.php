<?php

declare(strict_types=1);

namespace Stockade\Laravel;

use Illuminate\Contracts\Config\Repository;
use Stockade\Client;
use Stockade\Exception\StockadeException;

/** Asks the engine when Laravel's health route (`/up`) is asked: the route fails with it. */
final class HealthCheck
{
    public function __construct(private readonly Client $client, private readonly Repository $config)
    {
    }

    /** @throws StockadeException unavailable */
    public function handle(): void
    {
        if ($this->config->get('stockade.health', true)) {
            $this->client->ping();
        }
    }
}
