<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Testing\TestCase;
use Illuminate\Support\Facades\Artisan;
use Stockade\Client;
use Stockade\Tests\Running;

/** A test within an application whose stock a running engine has, and whose database is in memory. */
abstract class EngineCase extends TestCase
{
    protected Running $engine;
    private static ?App $files = null;

    protected function setUp(): void
    {
        $this->engine = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:', $this->engineSettings());
        parent::setUp();
        Artisan::call('migrate', ['--force' => true]);
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        unset($this->engine);
    }

    public static function tearDownAfterClass(): void
    {
        self::$files = null;
    }

    public function createApplication(): Application
    {
        if (self::$files === null) {
            self::$files = new App();
            // What a file has set, the next application's file sets again, whatever a test says.
            file_put_contents(self::$files->folder . '/.env', '');
        }
        foreach ($this->environment() + $this->defaults() as $name => $value) {
            $_SERVER[$name] = $value;
        }
        require_once self::$files->folder . '/vendor/autoload.php';
        $app = require self::$files->folder . '/bootstrap/app.php';
        $app->make(Kernel::class)->bootstrap();
        return $app;
    }

    /** @return array<string, string> */
    protected function environment(): array
    {
        return [];
    }

    /** @return array<string, string|int|bool> */
    protected function engineSettings(): array
    {
        return [];
    }

    protected function client(): Client
    {
        return $this->app->make(Client::class);
    }

    /** @return array<string, string> */
    private function defaults(): array
    {
        return [
            'APP_ENV' => 'testing',
            'APP_KEY' => 'base64:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
            'CACHE_STORE' => 'array',
            'DB_CONNECTION' => 'sqlite',
            'DB_DATABASE' => ':memory:',
            'QUEUE_CONNECTION' => 'sync',
            'STOCKADE_DRIVER' => '',
            'STOCKADE_STORE' => $this->engine->url,
            'STOCKADE_WEBHOOK_FORWARD_TO' => '',
            'STOCKADE_WEBHOOK_PATH' => 'stockade/webhook',
            'STOCKADE_WEBHOOK_SECRET' => 'new-secret, old-secret',
            'STOCKADE_WEBHOOK_UNSIGNED' => 'false',
        ];
    }
}
