<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Event;
use Illuminate\Support\Facades\Queue;
use RuntimeException;
use Stockade\EventKind;
use Stockade\Laravel\EventRelay;
use Stockade\Laravel\Events\Events;
use Stockade\Laravel\Events\HoldExpired;
use Stockade\Laravel\Events\PaymentReceived;
use Stockade\Laravel\Events\StockadeEvent;
use Stockade\Laravel\Events\StockReturned;
use Stockade\Laravel\Jobs\RelayEvents;
use Stockade\Testing\Make;

/** The outbox's events as Laravel's. */
final class RelayTest extends EngineCase
{
    /** @var list<string> the classes that came, without their namespace */
    private array $came = [];

    protected function setUp(): void
    {
        parent::setUp();
        Event::listen(StockadeEvent::class, function (StockadeEvent $message): void {
            $this->came[] = basename(strtr($message::class, '\\', '/'));
        });
    }

    public function testEventsComeOnceAndInTheirOrder(): void
    {
        $lamp = $this->client()->createProduct('Lamp', '10', 5, sku: 'LAMP-1');
        $released = $this->client()->createHold($lamp->id, 1);
        $this->client()->releaseHold($released->id);
        $hold = $this->client()->createHold($lamp->id, 2);
        $order = $this->client()->createOrder($hold->id, $lamp->id);
        $this->client()->recordPayment('success', $order->id, key: 'p');
        $paid = null;
        Event::listen(PaymentReceived::class, static function (PaymentReceived $message) use (&$paid): void {
            $paid = $message->event;
        });
        $this->artisan('stockade:events')->assertSuccessful();
        $wanted = ['ProductCreated', 'StockAdjusted', 'HoldCreated', 'HoldReleased', 'StockReturned', 'HoldCreated',
            'OrderCreated', 'PaymentReceived'];
        self::assertSame($wanted, $this->came);
        self::assertSame([$order->id, 'LAMP-1', 2], [$paid->orderId, $paid->sku, $paid->quantity]);

        RelayEvents::dispatchSync();
        self::assertSame($wanted, $this->came);
        $this->artisan('stockade:events', ['--from' => (string) ($paid->cursor - 1)])->assertSuccessful();
        self::assertSame([...$wanted, 'PaymentReceived'], $this->came);
        $this->artisan('stockade:events', ['--from' => 'x'])->assertExitCode(2);
    }

    public function testAListenerThatFailsStopsTheCursorAndUndoesItsBatch(): void
    {
        $lamp = $this->client()->createProduct('Lamp', '10', 5);
        DB::statement('CREATE TABLE notes (cursor_number INTEGER)');
        $isBroken = true;
        Event::listen(StockadeEvent::class, static function (StockadeEvent $message) use (&$isBroken): void {
            DB::table('notes')->insert(['cursor_number' => $message->event()->cursor]);
            if ($isBroken && $message->event()->kind === EventKind::HoldCreated) {
                throw new RuntimeException('told to fail');
            }
        });
        $this->client()->createHold($lamp->id, 1);
        $relay = $this->app->make(EventRelay::class);
        try {
            $relay->next();
            self::fail('the exception must be seen by the queue');
        } catch (RuntimeException $error) {
            self::assertSame('told to fail', $error->getMessage());
        }
        self::assertSame([0, 0], [$relay->position(), DB::table('notes')->count()]);

        $isBroken = false;
        self::assertSame(3, $relay->next());
        self::assertSame(3, DB::table('notes')->distinct()->count('cursor_number'));
        self::assertSame(3, DB::table('notes')->count());
        self::assertSame(0, $relay->next());
    }

    public function testManyEventsComeInBatches(): void
    {
        config(['stockade.events.batch' => 2]);
        $lamp = $this->client()->createProduct('Lamp', '10', 50);
        for ($number = 0; $number < 5; $number++) {
            $this->client()->createHold($lamp->id, 1);
        }
        $relay = $this->app->make(EventRelay::class);
        self::assertSame(2, $relay->next());
        RelayEvents::dispatchSync();
        self::assertCount(7, $this->came);
        // One waits at a time.
        Queue::fake();
        RelayEvents::dispatch();
        RelayEvents::dispatch();
        Queue::assertPushed(RelayEvents::class, 1);
    }

    public function testAnExpiryIsAnEventOfItsOwnAndReturnsStock(): void
    {
        $lamp = $this->client()->createProduct('Lamp', '10', 5);
        $this->client()->createHold($lamp->id, 2, ttl: 1);
        Event::fake([HoldExpired::class, StockReturned::class]);
        usleep(1_100_000);
        $this->artisan('stockade:sweep')->assertSuccessful();
        $this->artisan('stockade:events')->assertSuccessful();
        Event::assertDispatchedTimes(HoldExpired::class, 1);
        Event::assertDispatched(StockReturned::class, static fn (StockReturned $message): bool
            => $message->event->quantity === 2 && $message->event->kind === EventKind::HoldExpired);
    }

    public function testEachKindHasAClassThatSurvivesAQueue(): void
    {
        $classes = [];
        foreach (EventKind::cases() as $kind) {
            [$message] = Events::of(Make::event($kind, sku: 'LAMP-1'));
            $classes[] = $message::class;
            self::assertEquals($message, unserialize(serialize($message)));
        }
        self::assertSame($classes, array_unique($classes));
    }
}
