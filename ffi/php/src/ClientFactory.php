<?php

declare(strict_types=1);

namespace Stockade;

use Closure;
use Psr\Log\LoggerInterface;
use SensitiveParameter;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\StockadeException;
use Stockade\Http\Address;
use Stockade\Http\HttpClient;

/**
 * Where a program begins: the client of a store or of a running engine.
 *
 *     $client = ClientFactory::connect('unix:///run/stockade.sock');
 */
final class ClientFactory
{
    private function __construct()
    {
    }

    /**
     * Returns a client, by the driver that its URL needs: `http` for a running engine,
     * `ffi` for a store. Connections are kept for later calls of the process.
     *
     * @param string $store a running engine, "unix:///SOCKET", "http://:KEY@HOST:PORT" or "https://:KEY@HOST:PORT";
     *     or a store, "sqlite:FILE", "sqlite::memory:" or "mysql://USER@HOST/DATABASE", which needs ext-ffi
     * @param array<string, string|int|bool> $settings of the driver, by name
     * @param ?string $driver 'http' or 'ffi'; null for the one that the URL needs
     * @param ?LoggerInterface $logger as in {@see HttpClient::open()}; the library has its own log
     * @param ?Closure(): ?string $traceparent as in {@see HttpClient::open()}
     * @throws InvalidArgument for a malformed URL or setting
     * @throws StockadeException unavailable, unauthorized or misuse if a store cannot be opened; http connects
     *     with the first call
     */
    public static function connect(
        #[SensitiveParameter] string $store,
        #[SensitiveParameter] array $settings = [],
        ?string $driver = null,
        ?LoggerInterface $logger = null,
        ?Closure $traceparent = null,
    ): Client {
        return match ($driver ?? (Address::isRemote($store) ? 'http' : 'ffi')) {
            'http' => HttpClient::shared($store, $settings, $logger, $traceparent),
            'ffi' => Engine::shared($store, $settings),
            default => throw InvalidArgument::because("unknown driver {$driver}; there are http and ffi"),
        };
    }
}
