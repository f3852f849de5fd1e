<?php

declare(strict_types=1);

namespace Stockade\Tests;

use DateInterval;
use DateTimeImmutable;
use PHPUnit\Framework\AssertionFailedError;
use PHPUnit\Framework\TestCase;
use Stockade\Client;
use Stockade\Engine;
use Stockade\EventKind;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;
use Stockade\HoldStatus;
use Stockade\OrderStatus;
use Stockade\Testing\WithStockade;

/** A test moves the engine's clock, by the trait for tests. */
final class ClockTest extends TestCase
{
    use WithStockade;

    /** @return array<string, string|int|bool> */
    protected function stockadeSettings(): array
    {
        return ['payment_ttl' => '30m'];
    }

    public function testAHoldThatEndsReturnsItsUnits(): void
    {
        $lamp = $this->stockade->createProduct('Lamp', '19.99', 5, sku: 'LAMP-1');
        $hold = $this->stockade->createHold($lamp->id, 2, ttl: 120);
        $this->assertAvailable($lamp->id, 3);
        $this->advanceClock(119.999999);
        $this->assertAvailable($lamp->id, 3);
        $this->assertHoldStatus('active', $hold);
        self::assertEquals($hold->expiresAt, $this->advanceClock('0.000001'));
        $this->assertAvailable('sku:LAMP-1', 5);
        $this->assertHoldStatus(HoldStatus::Expired, $hold->id);
        $this->assertEmitted('hold.expired', 1);
        $this->assertConsistent();
    }

    public function testAnOrderThatIsNotPaidIsCancelled(): void
    {
        $lamp = $this->stockade->createProduct('Lamp', '19.99', 5);
        $order = $this->stockade->createOrder($this->stockade->createHold($lamp->id, 2)->id, $lamp->id);
        $this->advanceClock(new DateInterval('PT29M'));
        $this->assertOrderStatus('pending_payment', $order);
        $this->advanceClock(new DateInterval('PT1M'));
        $this->assertOrderStatus(OrderStatus::Cancelled, $order->id);
        $this->assertAvailable($lamp->id, 5);
        $this->assertEmitted(EventKind::OrderCancelled);
    }

    public function testTheClockStandsStillUntilItIsMoved(): void
    {
        $now = $this->advanceClock(0);
        usleep(2_000);
        self::assertEquals($now, $this->advanceClock(0));
        self::assertEqualsWithDelta(time(), $now->getTimestamp(), 30);
        self::assertEquals($now->add(new DateInterval('P1Y2M')), $this->advanceClock(new DateInterval('P1Y2M')));
    }

    public function testAMoveThatIsTooLongOrBackMovesNothing(): void
    {
        $now = $this->advanceClock(0);
        $back = new DateInterval('PT1S');
        $back->invert = 1;
        foreach ([3_650 * 86_400 * 2, 1e300, -1, 'soon', NAN, $back, new DateInterval('P9000Y')] as $by) {
            $error = self::thrown(fn () => $this->advanceClock($by));
            self::assertInstanceOf(InvalidArgument::class, $error);
        }
        self::assertEquals($now, $this->advanceClock(0));
    }

    public function testAnotherEnginesClockIsNotMoved(): void
    {
        $engine = Engine::open('sqlite::memory:');
        $error = self::thrown(fn () => $engine->advanceClock(1));
        self::assertInstanceOf(Misuse::class, $error);
        self::assertStringContainsString('sqlite::memory: with clock=manual', $error->getMessage());
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        $error = self::thrown(fn () => Engine::open($running->url)->advanceClock(1));
        self::assertInstanceOf(Misuse::class, $error);
        $file = sys_get_temp_dir() . '/clock-' . getmypid() . '.db';
        $error = self::thrown(fn () => Engine::open("sqlite:{$file}", ['clock' => 'manual']));
        self::assertInstanceOf(InvalidArgument::class, $error);
        self::assertFileDoesNotExist($file);
        self::assertFalse(method_exists(Client::class, 'advanceClock'));
    }

    public function testAssertionsFailAndSayWhatIs(): void
    {
        $lamp = $this->stockade->createProduct('Lamp', '19.99', 5);
        $hold = $this->stockade->createHold($lamp->id, 2);
        foreach (
            [
                '2 are held' => fn () => $this->assertAvailable($lamp->id, 5),
                "status of hold {$hold->id}" => fn () => $this->assertHoldStatus('expired', $hold),
                'among product.created' => fn () => $this->assertEmitted('hold.expired'),
            ] as $said => $assertion
        ) {
            $error = self::thrown($assertion);
            self::assertInstanceOf(AssertionFailedError::class, $error);
            self::assertStringContainsString($said, $error->getMessage());
        }
    }

    public function testEachTestHasAnEngineOfItsOwnThatIsClosed(): void
    {
        $engine = $this->stockade;
        self::assertSame([], $engine->products()->items);
        $this->closeStockade();
        self::assertInstanceOf(Misuse::class, self::thrown(fn () => $engine->ping()));
        $this->openStockade();
        self::assertInstanceOf(DateTimeImmutable::class, $this->advanceClock(1));
    }

    private static function thrown(callable $call): ?\Throwable
    {
        try {
            $call();
        } catch (\Throwable $error) {
            return $error;
        }
        return null;
    }
}
