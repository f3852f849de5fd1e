<?php

declare(strict_types=1);

namespace Stockade\Testing;

use DateInterval;
use DateTimeImmutable;
use PHPUnit\Framework\Assert;
use PHPUnit\Framework\Attributes\After;
use PHPUnit\Framework\Attributes\Before;
use Stockade\Client;
use Stockade\Engine;
use Stockade\EventKind;
use Stockade\Hold;
use Stockade\HoldStatus;
use Stockade\Order;
use Stockade\OrderStatus;

/**
 * Gives each test of a PHPUnit class an engine of its own in memory, whose clock the test
 * moves:
 *
 *     use Stockade\Testing\WithStockade;
 *
 *     public function testAHoldThatEndsReturnsItsUnits(): void
 *     {
 *         $lamp = $this->stockade->createProduct('Lamp', '19.99', 5);
 *         $this->stockade->createHold($lamp->id, 2, ttl: 120);
 *         $this->advanceClock(120);
 *         $this->assertAvailable($lamp->id, 5);
 *     }
 *
 * The engine is of the driver ffi, and is open before setUp(). In a test of Laravel it is also the application's
 * {@see Client}. For tests that need no stock see {@see FakeClient}.
 */
trait WithStockade
{
    protected Engine $stockade;

    /**
     * The engine's settings; override it to set others.
     *
     * @return array<string, string|int|bool> by name, such as ['hold_ttl' => '60s']
     */
    protected function stockadeSettings(): array
    {
        return [];
    }

    /**
     * Moves the clock forward, as {@see Engine::advanceClock()}: what is due then is in stock
     * again.
     *
     * @param int|float|string|DateInterval $by seconds, or an interval
     */
    protected function advanceClock(int|float|string|DateInterval $by): DateTimeImmutable
    {
        return $this->stockade->advanceClock($by);
    }

    /**
     * Asserts how many units of a product can be held now.
     *
     * @param int|string $product its id, or "sku:" and its SKU
     */
    protected function assertAvailable(int|string $product, int $units): void
    {
        $found = $this->stockade->product($product);
        $counts = "{$found->held} are held, {$found->pending} in unpaid orders, {$found->sold} sold";
        Assert::assertSame($units, $found->stock, "units of {$product} that can be held; {$counts}");
    }

    /** Asserts the status of a hold now. */
    protected function assertHoldStatus(HoldStatus|string $status, Hold|int|string $hold): void
    {
        $id = $hold instanceof Hold ? $hold->id : $hold;
        $expected = $status instanceof HoldStatus ? $status->value : $status;
        Assert::assertSame($expected, $this->stockade->hold($id)->status->value, "the status of hold {$id}");
    }

    /** Asserts the status of an order now. */
    protected function assertOrderStatus(OrderStatus|string $status, Order|int|string $order): void
    {
        $id = $order instanceof Order ? $order->id : $order;
        $expected = $status instanceof OrderStatus ? $status->value : $status;
        Assert::assertSame($expected, $this->stockade->order($id)->status->value, "the status of order {$id}");
    }

    /**
     * Asserts that the outbox has an event.
     *
     * @param EventKind|string $kind such as 'hold.expired'
     * @param ?int $times how many there are; null for at least one
     */
    protected function assertEmitted(EventKind|string $kind, ?int $times = null): void
    {
        $expected = $kind instanceof EventKind ? $kind->value : $kind;
        $found = [];
        for ($cursor = 0; ($page = $this->stockade->eventsAfter($cursor)) !== []; $cursor = end($page)->cursor) {
            foreach ($page as $event) {
                $found[] = $event->kind->value;
            }
        }
        $count = count(array_keys($found, $expected, true));
        $message = "events `{$expected}` among " . implode(', ', array_unique($found));
        if ($times === null) {
            Assert::assertGreaterThan(0, $count, $message);
        } else {
            Assert::assertSame($times, $count, $message);
        }
    }

    /** Asserts that the audit finds nothing wrong. */
    protected function assertConsistent(): void
    {
        $report = $this->stockade->audit();
        Assert::assertTrue($report->consistent, 'findings: ' . json_encode($report->findings));
    }

    /**
     * Opens the engine: before each test, by PHPUnit.
     *
     * @before
     */
    #[Before]
    protected function openStockade(): void
    {
        $this->stockade = Engine::open('sqlite::memory:', $this->stockadeSettings() + ['clock' => 'manual']);
    }

    /**
     * Closes it: after each test, by PHPUnit.
     *
     * @after
     */
    #[After]
    protected function closeStockade(): void
    {
        // PHPUnit keeps the objects of all tests to the end.
        if (isset($this->stockade)) {
            $this->stockade->close();
            unset($this->stockade);
        }
    }

    /** Gives it to the application: Laravel calls this once that is made. */
    protected function setUpWithStockade(): void
    {
        $this->app->instance(Client::class, $this->stockade);
    }
}
