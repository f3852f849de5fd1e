<?php

declare(strict_types=1);

namespace Stockade\Testing;

use DateTimeInterface;
use Stockade\Erased;
use Stockade\Hold;
use Stockade\HoldPage;
use Stockade\HoldStatus;
use Stockade\Input\Arguments;
use Stockade\Order;
use Stockade\OrderPage;
use Stockade\OrderStatus;
use Stockade\PaymentDisposition;
use Stockade\WaitingPayment;
use Stockade\WaitingPaymentPage;

/**
 * A fake's calls about lists, documented in {@see \Stockade\Client\ListCalls}.
 */
trait ListCalls
{
    public function holds(
        ?string $customer = null,
        int|string|float|bool|null $productId = null,
        HoldStatus|string|null $status = null,
        DateTimeInterface|string|null $createdAfter = null,
        DateTimeInterface|string|null $createdBefore = null,
        int|string|float|bool $after = 0,
        int|string|float|bool $limit = 100,
    ): HoldPage {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): HoldPage => new HoldPage(...Shelf::page($this->shelf()->holds, $after, $limit, fn (Hold $hold): bool
                => self::fits($customer, $hold->customer)
                    && self::fits(Arguments::word('status', $status, HoldStatus::class), $hold->status->value)
                    && ($productId === null || $this->isOf($hold->productId, $productId))))
        );
    }

    public function orders(
        ?string $customer = null,
        int|string|float|bool|null $productId = null,
        OrderStatus|string|null $status = null,
        PaymentDisposition|string|null $disposition = null,
        ?string $reference = null,
        ?string $paymentReference = null,
        DateTimeInterface|string|null $createdAfter = null,
        DateTimeInterface|string|null $createdBefore = null,
        int|string|float|bool $after = 0,
        int|string|float|bool $limit = 100,
    ): OrderPage {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): OrderPage => new OrderPage(...Shelf::page($this->shelf()->orders, $after, $limit, fn (Order $of)
                => self::fits($customer, $of->customer)
                    && self::fits($reference, $of->reference)
                    && self::fits(Arguments::word('status', $status, OrderStatus::class), $of->status->value)
                    && self::fits(
                        Arguments::word('disposition', $disposition, PaymentDisposition::class),
                        $of->paymentDisposition->value
                    )
                    && ($productId === null || $this->hasLineOf($of, $productId))))
        );
    }

    public function waitingPayments(
        ?string $after = null,
        int|string|float|bool $limit = 100,
    ): WaitingPaymentPage {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): WaitingPaymentPage => new WaitingPaymentPage([], null)
        );
    }

    public function removeWaitingPayment(string $key): WaitingPayment
    {
        return $this->play(
            __FUNCTION__,
            get_defined_vars(),
            fn (): WaitingPayment => throw Shelf::none('such waiting payment')
        );
    }

    public function eraseCustomer(string $customer): Erased
    {
        return $this->play(__FUNCTION__, get_defined_vars(), fn (): Erased => new Erased(0, 0));
    }

    private static function fits(?string $wanted, ?string $value): bool
    {
        return $wanted === null || $wanted === $value;
    }

    private function isOf(int $id, int|string|float|bool $product): bool
    {
        return $id === ($this->shelf()->findProduct($product)?->id ?? Arguments::product('product_id', $product)[0]);
    }

    private function hasLineOf(Order $order, int|string|float|bool $product): bool
    {
        foreach ($order->lines as $line) {
            if ($this->isOf($line->productId, $product)) {
                return true;
            }
        }
        return false;
    }
}
