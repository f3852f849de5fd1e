<?php

declare(strict_types=1);

namespace Stockade\Testing;

use AssertionError;
use PHPUnit\Framework\Assert;
use Stockade\Cart;
use Stockade\Hold;
use Stockade\HoldResult;
use Stockade\Input\Arguments;
use Stockade\Order;

/**
 * What a test asserts of the calls that a {@see FakeClient} got: by PHPUnit, or with an
 * AssertionError where there is none. Holds and orders count if they were made: refused
 * ones do not.
 */
trait Assertions
{
    /**
     * Asserts that a hold of this product was made.
     *
     * @param int|string $product its id, or "sku:" and its SKU, as the shop named it or as the hold shows it
     * @param ?int $quantity the units of one hold; null for any
     */
    public function assertHeld(int|string $product, ?int $quantity = null): void
    {
        $units = $quantity === null ? '' : " of {$quantity}";
        self::check($this->holdsOf($product, $quantity) !== [], "no hold{$units} of {$product} was made");
    }

    /** Asserts that no hold of this product was made. */
    public function assertNotHeld(int|string $product): void
    {
        $count = count($this->holdsOf($product, null));
        self::check($count === 0, "{$count} holds of {$product} were made");
    }

    /** Asserts that no hold was made at all. */
    public function assertNothingHeld(): void
    {
        $count = count($this->madeHolds());
        self::check($count === 0, "{$count} holds were made");
    }

    /** Asserts that this hold was released, alone or with its cart. */
    public function assertReleased(int|string $holdId): void
    {
        $isOf = static fn (RecordedCall $call): bool => match ($call->method) {
            'releaseHold' => $call->error === null && $call->answer->id === (int) $holdId,
            'releaseCart' => $call->error === null && in_array((int) $holdId, self::ids($call->answer->holds), true),
            default => false,
        };
        self::check(array_filter($this->calls(), $isOf) !== [], "hold {$holdId} was not released");
    }

    /**
     * Asserts that an order was made.
     *
     * @param int|string|null $holdId with a line of this hold; null for any
     */
    public function assertOrdered(int|string|null $holdId = null): void
    {
        $fits = static fn (Order $order): bool => $holdId === null
            || in_array((int) $holdId, array_column($order->lines, 'holdId'), true);
        $what = $holdId === null ? 'no order was made' : "no order of hold {$holdId} was made";
        self::check(array_filter($this->madeOrders(), $fits) !== [], $what);
    }

    /** Asserts that no order was made at all. */
    public function assertNothingOrdered(): void
    {
        $count = count($this->madeOrders());
        self::check($count === 0, "{$count} orders were made");
    }

    /** Asserts that this order was cancelled. */
    public function assertCancelled(int|string $orderId): void
    {
        self::check($this->hasCall('cancelOrder', $orderId), "order {$orderId} was not cancelled");
    }

    /** Asserts that money or units of this order were refunded. */
    public function assertRefunded(int|string $orderId): void
    {
        self::check($this->hasCall('refundOrder', $orderId), "order {$orderId} was not refunded");
    }

    /**
     * Asserts that a payment event was recorded.
     *
     * @param ?string $status with this word; null for any
     */
    public function assertPaymentRecorded(?string $status = null): void
    {
        $isOf = static fn (RecordedCall $call): bool => $call->error === null
            && ($status === null || $call->arguments['status'] === $status);
        $what = $status === null ? 'no payment event' : "no payment event `{$status}`";
        self::check(array_filter($this->calls('recordPayment'), $isOf) !== [], "{$what} was recorded");
    }

    /**
     * Asserts that a method was called, refused calls included.
     *
     * @param callable(RecordedCall): bool|int|null $how what one of the calls must fit, or how many there were
     */
    public function assertCalled(string $method, callable|int|null $how = null): void
    {
        $calls = $this->calls($method);
        $count = count($calls);
        if (is_int($how)) {
            self::check($count === $how, "{$method} was called {$count} times, not {$how}");
        } elseif ($how === null) {
            self::check($count > 0, "{$method} was not called");
        } else {
            self::check(array_filter($calls, $how) !== [], "none of {$count} calls of {$method} fits");
        }
    }

    /** Asserts that a method was not called. */
    public function assertNotCalled(string $method): void
    {
        $this->assertCalled($method, 0);
    }

    /** Asserts that nothing was called. */
    public function assertNothingCalled(): void
    {
        $names = implode(', ', array_column($this->calls(), 'method'));
        self::check($names === '', "called were {$names}");
    }

    private function hasCall(string $method, int|string $orderId): bool
    {
        return array_filter($this->calls($method), static fn (RecordedCall $call): bool
            => $call->error === null && (string) $call->arguments['orderId'] === (string) $orderId) !== [];
    }

    /** @return list<array{Hold, int|string}> holds that were made, each with the product as it was named */
    private function madeHolds(): array
    {
        $made = [];
        foreach ($this->calls() as $call) {
            $answer = $call->answer;
            if ($call->method === 'createHold' && $answer instanceof Hold) {
                $made[] = [$answer, $call->arguments['productId']];
            } elseif ($call->method === 'createHolds' && $answer instanceof Cart) {
                foreach ($answer->holds as $hold) {
                    $made[] = [$hold, $hold->productId];
                }
            } elseif ($call->method === 'createHoldBatch' && is_array($answer)) {
                $held = array_filter($answer, static fn (HoldResult $result): bool => $result->hold !== null);
                foreach ($held as $result) {
                    $made[] = [$result->hold, $result->hold->productId];
                }
            }
        }
        return $made;
    }

    /** @return list<array{Hold, int|string}> */
    private function holdsOf(int|string $product, ?int $quantity): array
    {
        [$id, $sku] = Arguments::product('product', $product);
        return array_values(array_filter($this->madeHolds(), static fn (array $made): bool
            => ($quantity === null || $made[0]->quantity === $quantity)
                && ((string) $made[1] === (string) $product
                    || ($sku === null ? $made[0]->productId === $id : $made[0]->sku === $sku))));
    }

    /** @return list<Order> */
    private function madeOrders(): array
    {
        $calls = [...$this->calls('createOrder'), ...$this->calls('createOrderOf')];
        return array_values(array_filter(array_column($calls, 'answer')));
    }

    /**
     * @param list<Hold> $holds
     * @return list<int>
     */
    private static function ids(array $holds): array
    {
        return array_column($holds, 'id');
    }

    private static function check(bool $holds, string $message): void
    {
        if (class_exists(Assert::class)) {
            Assert::assertTrue($holds, $message);
        } elseif (!$holds) {
            throw new AssertionError($message);
        }
    }
}
