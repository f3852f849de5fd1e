<?php

declare(strict_types=1);

namespace Stockade\Laravel;

use Illuminate\Contracts\Container\Container;
use Illuminate\Support\ServiceProvider;
use Stockade\Engine;
use Stockade\Native\Library;

/**
 * Binds {@see Engine} into the container, configured by config/stockade.php. The
 * engine is opened on first use.
 */
final class StockadeServiceProvider extends ServiceProvider
{
    private const CONFIG = __DIR__ . '/../../config/stockade.php';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, 'stockade');
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
