<?php

declare(strict_types=1);

namespace Stockade\Laravel;

use Illuminate\Contracts\Container\Container;
use Illuminate\Support\ServiceProvider;
use Psr\Log\LoggerInterface;
use Stockade\Client;
use Stockade\Engine;
use Stockade\Http\Address;
use Stockade\Http\HttpClient;
use Stockade\Native\Library;

/**
 * Binds {@see Client} into the container, configured by config/stockade.php, and
 * {@see Engine} for those who want the driver ffi. A client is opened on first use.
 */
final class StockadeServiceProvider extends ServiceProvider
{
    private const CONFIG = __DIR__ . '/../../config/stockade.php';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, 'stockade');
        $this->app->singleton(Client::class, static function (Container $app): Client {
            /** @var array{store: string, driver?: ?string, shared: bool, settings: array<string, string>} $config */
            $config = $app->make('config')->get('stockade');
            $driver = ($config['driver'] ?? '') ?: (Address::isRemote($config['store']) ? 'http' : 'ffi');
            if ($driver === 'ffi') {
                return $app->make(Engine::class);
            }
            $logger = $app->bound(LoggerInterface::class) ? $app->make(LoggerInterface::class) : null;
            return $config['shared']
                ? HttpClient::shared($config['store'], $config['settings'], $logger)
                : HttpClient::open($config['store'], $config['settings'], $logger);
        });
        $this->app->singleton(Engine::class, static function (Container $app): Engine {
            /** @var array{store: string, library: ?string, shared: bool, settings: array<string, string>} $config */
            $config = $app->make('config')->get('stockade');
            if (($config['library'] ?? '') !== '') {
                Library::use($config['library']);
            }
            return $config['shared']
                ? Engine::shared($config['store'], $config['settings'])
                : Engine::open($config['store'], $config['settings']);
        });
    }

    public function boot(): void
    {
        if ($this->app->runningInConsole()) {
            $this->publishes([self::CONFIG => $this->app->configPath('stockade.php')], 'stockade-config');
        }
    }
}
