<?php

declare(strict_types=1);

namespace Stockade\Tests;

use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Support\ServiceProvider;
use PHPUnit\Framework\TestCase;
use Stockade\Client;
use Stockade\Engine;
use Stockade\Http\HttpClient;
use Stockade\Laravel\StockadeServiceProvider;

// Laravel's own container, configuration and service provider, as Debian has
// them; env() reads by Dotenv. Only the application around them, of which two methods are asked, is
// not packaged.
require_once '/usr/share/php/Illuminate/Support/autoload.php';
require_once '/usr/share/php/Illuminate/Container/autoload.php';
require_once '/usr/share/php/Dotenv/autoload.php';
require_once '/usr/share/php/Illuminate/Config/autoload.php';

final class LaravelTest extends TestCase
{
    public function testTheContainerGivesTheEngineOfTheConfiguration(): void
    {
        $app = $this->app(['store' => 'sqlite::memory:', 'settings' => ['max_per_hold' => '3']]);
        $provider = new StockadeServiceProvider($app);
        $provider->register();
        $provider->boot();

        $engine = $app->make(Engine::class);
        self::assertSame($engine, $app->make(Engine::class));
        $lamp = $engine->createProduct('Lamp', '19.99', 5);
        self::assertSame(3, $engine->createHold($lamp->id, 3)->quantity);
        $this->expectException(\Stockade\Exception\QuantityLimit::class);
        $engine->createHold($lamp->id, 4);
    }

    public function testTheContainerGivesTheClientThatTheStoreNeeds(): void
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        foreach (
            [
                [['store' => 'sqlite::memory:'], Engine::class],
                [['store' => $running->url, 'driver' => ''], HttpClient::class],
                [['store' => $running->url, 'driver' => 'ffi'], Engine::class],
            ] as [$config, $class]
        ) {
            $app = $this->app($config + ['settings' => ['redis' => '']]);
            (new StockadeServiceProvider($app))->register();
            $client = $app->make(Client::class);
            self::assertInstanceOf($class, $client);
            self::assertSame($client, $app->make(Client::class));
            $client->ping();
        }
    }

    public function testAnUnsharedEngineIsOneOfItsOwn(): void
    {
        $app = $this->app(['store' => 'sqlite::memory:', 'shared' => false, 'settings' => []]);
        (new StockadeServiceProvider($app))->register();
        $app->make(Engine::class)->createProduct('Lamp', '1', 1);
        self::assertCount(0, Engine::shared('sqlite::memory:')->products()->items);
    }

    public function testTheConfigurationHasDefaultsAndIsPublished(): void
    {
        $app = $this->app([]);
        $provider = new StockadeServiceProvider($app);
        $provider->register();
        $provider->boot();
        self::assertSame('sqlite:shop.db', $app->make('config')->get('stockade.store'));
        self::assertTrue($app->make('config')->get('stockade.shared'));
        $paths = ServiceProvider::pathsToPublish(StockadeServiceProvider::class, 'stockade-config');
        self::assertSame(['/app/config/stockade.php'], array_values($paths));
        self::assertFileExists((string) array_key_first($paths));
    }

    /** What the package's composer.json tells Laravel is there. */
    public function testThePackageNamesItsProvider(): void
    {
        $text = (string) file_get_contents(__DIR__ . '/../composer.json');
        $package = json_decode($text, true, 512, JSON_THROW_ON_ERROR);
        self::assertSame([StockadeServiceProvider::class], $package['extra']['laravel']['providers']);
    }

    /** @param array<string, mixed> $config */
    private function app(array $config): Container
    {
        $app = new class () extends Container {
            public function runningInConsole(): bool
            {
                return true;
            }

            public function configPath(string $path = ''): string
            {
                return "/app/config/{$path}";
            }
        };
        $app->instance('config', new Repository(['stockade' => $config]));
        return $app;
    }
}
