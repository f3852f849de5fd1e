<?php

declare(strict_types=1);

namespace Stockade\Laravel;

use Illuminate\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Foundation\Events\DiagnosingHealth;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Routing\Router;
use Illuminate\Support\ServiceProvider;
use Stockade\Client;
use Stockade\Engine;
use Stockade\Exception\StockadeException;
use Stockade\Laravel\Http\ForwardProviderWebhook;
use Stockade\Laravel\Http\Problem;
use Stockade\Laravel\Http\VerifyWebhookSignature;
use Stockade\Laravel\Http\WebhookController;

/**
 * Binds {@see Client} into the container, configured by config/stockade.php, and
 * {@see Engine} for those who want the driver ffi; adds commands, routes, the health check
 * and the rendering of errors. A client is opened on first use.
 */
final class StockadeServiceProvider extends ServiceProvider
{
    private const CONFIG = __DIR__ . '/../../config/stockade.php';
    private const MIGRATIONS = __DIR__ . '/../../database/migrations';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, 'stockade');
        $this->app->singleton(Client::class, static fn (Container $app): Client => self::opener($app)->client());
        $this->app->singleton(Engine::class, static fn (Container $app): Engine => self::opener($app)->engine());
    }

    public function boot(): void
    {
        $this->loadMigrationsFrom(self::MIGRATIONS);
        $this->addRoutes();
        $this->app->make(Dispatcher::class)->listen(DiagnosingHealth::class, HealthCheck::class);
        $this->callAfterResolving(ExceptionHandler::class, static function (ExceptionHandler $handler): void {
            // An application may have a handler of its own that renders by itself.
            if (method_exists($handler, 'renderable')) {
                $handler->renderable(static fn (StockadeException $error, Request $request): ?JsonResponse
                    => Problem::render($error, $request, Container::getInstance()->make('config')));
            }
        });
        if ($this->app->runningInConsole()) {
            $this->publishes([self::CONFIG => $this->app->configPath('stockade.php')], 'stockade-config');
            $this->publishesMigrations([self::MIGRATIONS => $this->app->databasePath('migrations')]);
            $this->commands([
                Console\AuditCommand::class,
                Console\EventsCommand::class,
                Console\ImportCommand::class,
                Console\InstallCommand::class,
                Console\SweepCommand::class,
            ]);
        }
    }

    private function addRoutes(): void
    {
        $config = $this->app->make('config')->get('stockade.webhook', []);
        $path = trim((string) ($config['path'] ?? ''), '/');
        if ($path === '' || $this->app->routesAreCached()) {
            return;
        }
        $router = $this->app->make(Router::class);
        $middleware = $config['middleware'] ?? [];
        $router->post($path, WebhookController::class)
            ->middleware([...$middleware, VerifyWebhookSignature::class])
            ->name('stockade.webhook');
        if (($config['forward_to'] ?? '') !== '') {
            $router->post("{$path}/{provider}", ForwardProviderWebhook::class)
                ->where('provider', '[a-z0-9_-]+')
                ->middleware($middleware)
                ->name('stockade.provider-webhook');
        }
    }

    private static function opener(Container $app): ClientOpener
    {
        return new ClientOpener($app->make('config'), $app);
    }
}
