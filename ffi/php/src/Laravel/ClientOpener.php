<?php

declare(strict_types=1);

namespace Stockade\Laravel;

use Illuminate\Container\Container;
use Illuminate\Contracts\Config\Repository;
use Psr\Log\LoggerInterface;
use Stockade\Client;
use Stockade\Engine;
use Stockade\Exception\InvalidArgument;
use Stockade\Http\Address;
use Stockade\Http\HttpClient;
use Stockade\Native\Library;
use Stockade\Testing\FakeClient;

/**
 * Opens the client that config/stockade.php names.
 *
 * What it opens has no state of a request: connections belong to the process, and the
 * trace of a call is asked of the application that serves when it is made. So Octane may
 * keep a client for a worker's life.
 */
final class ClientOpener
{
    public function __construct(private readonly Repository $config, private readonly Container $app)
    {
    }

    public function client(): Client
    {
        $store = $this->store();
        $driver = $this->config->get('stockade.driver') ?: (Address::isRemote($store) ? 'http' : 'ffi');
        return match ($driver) {
            'http' => $this->http($store),
            // The same object, for those who ask for either.
            'ffi' => $this->app->make(Engine::class),
            'fake' => new FakeClient(),
            default => throw InvalidArgument::because("stockade.driver is {$driver}; there are http, ffi and fake"),
        };
    }

    public function engine(): Engine
    {
        $library = (string) $this->config->get('stockade.library');
        if ($library !== '') {
            Library::use($library);
        }
        return $this->isShared()
            ? Engine::shared($this->store(), $this->settings())
            : Engine::open($this->store(), $this->settings());
    }

    private function http(string $store): HttpClient
    {
        $logger = $this->app->bound(LoggerInterface::class) ? $this->app->make(LoggerInterface::class) : null;
        $traceparent = static function (): ?string {
            // Not the application of this opener: under Octane each request has its own.
            $app = Container::getInstance();
            return $app->bound('request') ? $app->make('request')->headers->get('traceparent') : null;
        };
        return $this->isShared()
            ? HttpClient::shared($store, $this->settings(), $logger, $traceparent)
            : HttpClient::open($store, $this->settings(), $logger, $traceparent);
    }

    private function store(): string
    {
        return (string) $this->config->get('stockade.store');
    }

    private function isShared(): bool
    {
        return (bool) $this->config->get('stockade.shared', true);
    }

    /** @return array<string, string|int|bool> */
    private function settings(): array
    {
        return (array) $this->config->get('stockade.settings', []);
    }
}
