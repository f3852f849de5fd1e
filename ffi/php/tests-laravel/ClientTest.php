<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use Illuminate\Container\Container;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\ServiceProvider;
use Stockade\Client;
use Stockade\Engine;
use Stockade\Exception\InvalidArgument;
use Stockade\Http\HttpClient;
use Stockade\Laravel\ClientOpener;
use Stockade\Laravel\Facades\Stockade;
use Stockade\Laravel\StockadeServiceProvider;
use Stockade\Testing\FakeClient;

/** The container, the facade, the configuration and the health route. */
final class ClientTest extends EngineCase
{
    public function testTheContainerGivesTheClientThatTheConfigurationNames(): void
    {
        $cases = [
            [['store' => $this->engine->url], HttpClient::class],
            [['store' => $this->engine->tcp, 'driver' => ''], HttpClient::class],
            [['store' => $this->engine->url, 'driver' => 'ffi'], Engine::class],
            [['store' => 'sqlite::memory:'], Engine::class],
            [['store' => 'sqlite::memory:', 'shared' => false], Engine::class],
            [['store' => 'sqlite::memory:', 'driver' => 'fake'], FakeClient::class],
        ];
        foreach ($cases as [$config, $class]) {
            config(['stockade' => $config + ['shared' => true, 'settings' => ['redis' => '']]]);
            $this->app->forgetInstance(Client::class);
            $this->app->forgetInstance(Engine::class);
            $client = $this->app->make(Client::class);
            self::assertInstanceOf($class, $client);
            self::assertSame($client, $this->app->make(Client::class));
            $client->ping();
        }
        config(['stockade.driver' => 'tcp']);
        $this->expectException(InvalidArgument::class);
        (new ClientOpener(config(), $this->app))->client();
    }

    public function testTheFacadeAsksTheContainerEachTime(): void
    {
        $lamp = Stockade::createProduct('Lamp', '19.99', 5);
        self::assertSame(5, $this->client()->product($lamp->id)->stock);
        $fake = Stockade::fake();
        Stockade::createHold($lamp->id, 2);
        $fake->assertHeld($lamp->id, 2);
        $this->app->forgetInstance(Client::class);
        self::assertSame(5, Stockade::product($lamp->id)->stock);
        // The alias that discovery makes.
        self::assertSame(Stockade::class, (new \ReflectionClass('Stockade'))->getName());
    }

    /** As Octane serves: each request has a clone of the application that was booted once. */
    public function testNothingOfARequestIsKeptForTheNext(): void
    {
        $opened = $this->client();
        $seen = [];
        foreach (['00-aaaa', '00-bbbb', null] as $trace) {
            $sandbox = clone $this->app;
            Container::setInstance($sandbox);
            Facade::setFacadeApplication($sandbox);
            $request = Request::create('/');
            $request->headers->set('traceparent', $trace);
            $sandbox->instance('request', $request);
            self::assertSame($opened, $sandbox->make(Client::class));
            $traceparent = (fn (): \Closure => (fn () => $this->traceparent)->call($this->rpc))->call($opened);
            $seen[] = $traceparent();
            // What one request replaces, the next does not see.
            $sandbox->instance(Client::class, new FakeClient());
            self::assertInstanceOf(FakeClient::class, Stockade::getFacadeRoot());
        }
        Container::setInstance($this->app);
        Facade::setFacadeApplication($this->app);
        self::assertSame(['00-aaaa', '00-bbbb', null], $seen);
        self::assertSame($opened, Stockade::getFacadeRoot());
    }

    public function testTheHealthRouteFailsWithTheEngine(): void
    {
        $this->get('/up')->assertOk();
        config(['stockade.settings.remote_reconnect' => '0s']);
        $this->app->forgetInstance(Client::class);
        $this->engine->kill();
        $this->get('/up')->assertStatus(500);
        config(['stockade.health' => false]);
        $this->get('/up')->assertOk();
        // Where the engine is, is nobody's business.
        $answer = $this->get('/api/products/1')->assertStatus(503)->assertHeader('Retry-After');
        self::assertStringNotContainsString('stockade.sock', (string) $answer->getContent());
    }

    public function testTheConfigurationIsPublished(): void
    {
        $paths = ServiceProvider::pathsToPublish(StockadeServiceProvider::class, 'stockade-config');
        self::assertSame([config_path('stockade.php')], array_values($paths));
        $this->artisan('stockade:install')->expectsOutputToContain('The engine is reachable.')->assertSuccessful();
        self::assertFileExists(config_path('stockade.php'));
        unlink(config_path('stockade.php'));
        rmdir(config_path());
        config(['stockade.store' => 'unix:///nowhere/stockade.sock', 'stockade.settings.remote_reconnect' => '0s']);
        $this->app->forgetInstance(Client::class);
        $this->artisan('stockade:install')->assertFailed();
    }
}
