<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use Illuminate\Support\Facades\Event;
use Stockade\Laravel\EventRelay;
use Stockade\Laravel\Events\StockadeEvent;

/** Several relays on one database. */
final class RelayOnMySqlTest extends EngineCase
{
    private Database $shop;

    protected function environment(): array
    {
        $this->shop ??= new Database();
        return ['DB_CONNECTION' => 'mysql'] + $this->shop->environment();
    }

    public function testARelayDoesNotWaitForAnother(): void
    {
        $cursors = [];
        Event::listen(StockadeEvent::class, static function (StockadeEvent $message) use (&$cursors): void {
            $cursors[] = $message->event()->cursor;
        });
        $this->client()->createProduct('Lamp', '10', 5);
        $relay = $this->app->make(EventRelay::class);
        self::assertSame(2, $relay->next());

        $this->client()->createHold(1, 1);
        $other = $this->shop->pdo;
        $other->beginTransaction();
        $other->query("SELECT position FROM stockade_cursors WHERE name = 'laravel' FOR UPDATE")->fetchAll();
        $start = microtime(true);
        self::assertSame(0, $relay->next());
        self::assertLessThan(5.0, microtime(true) - $start);
        $other->rollBack();
        self::assertSame(1, $relay->next());
        self::assertCount(3, array_unique($cursors));
    }
}
