<?php

declare(strict_types=1);

namespace Stockade\Http;

use DateTimeInterface;
use Stockade\Erased;
use Stockade\HoldPage;
use Stockade\HoldStatus;
use Stockade\Input\Arguments;
use Stockade\OrderPage;
use Stockade\OrderStatus;
use Stockade\PaymentDisposition;
use Stockade\WaitingPayment;
use Stockade\WaitingPaymentPage;

/**
 * A running engine's lists, waiting payments and the erasure of customers, documented
 * in {@see \Stockade\Client\ListCalls}.
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
        $query = self::query($customer, $productId, $createdAfter, $createdBefore, $after, $limit) + [
            'status' => Arguments::word('status', $status, HoldStatus::class),
        ];
        return $this->ask('holds', $query, false, static fn (array $of): HoldPage
            => new HoldPage(Decoder::list(Decoder::hold(...), $of['items']), $of['next']));
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
        $query = self::query($customer, $productId, $createdAfter, $createdBefore, $after, $limit) + [
            'status' => Arguments::word('status', $status, OrderStatus::class),
            'disposition' => Arguments::word('disposition', $disposition, PaymentDisposition::class),
            'reference' => Wire::text('reference', $reference),
            'payment_reference' => Wire::text('payment_reference', $paymentReference),
        ];
        return $this->ask('orders', $query, false, static fn (array $of): OrderPage
            => new OrderPage(Decoder::list(Decoder::order(...), $of['items']), $of['next']));
    }

    public function waitingPayments(
        ?string $after = null,
        int|string|float|bool $limit = 100,
    ): WaitingPaymentPage {
        $request = ['after' => Wire::text('after', $after), 'limit' => Arguments::limit($limit)];
        return $this->ask('waiting_payments', $request, false, static fn (array $of): WaitingPaymentPage
            => new WaitingPaymentPage(Decoder::list(Decoder::waitingPayment(...), $of['items']), $of['next']));
    }

    public function removeWaitingPayment(string $key): WaitingPayment
    {
        $request = ['key' => Wire::text('key', $key)];
        return $this->ask('remove_waiting_payment', $request, false, Decoder::waitingPayment(...));
    }

    public function eraseCustomer(string $customer): Erased
    {
        $request = ['customer' => Wire::text('customer', $customer)];
        return $this->ask('erase_customer', $request, false, static fn (array $of): Erased
            => new Erased($of['holds'], $of['orders']));
    }

    /**
     * What both queries have.
     *
     * @return array<string, mixed>
     */
    private static function query(
        ?string $customer,
        int|string|float|bool|null $productId,
        DateTimeInterface|string|null $createdAfter,
        DateTimeInterface|string|null $createdBefore,
        int|string|float|bool $after,
        int|string|float|bool $limit,
    ): array {
        return [
            'customer' => Wire::text('customer', $customer),
            'product' => $productId === null ? null : Wire::product('product_id', $productId),
            'created_after' => Wire::moment('createdAfter', $createdAfter),
            'created_before' => Wire::moment('createdBefore', $createdBefore),
            'after' => Wire::optionalId(Arguments::id('after', $after)),
            'limit' => Arguments::limit($limit),
        ];
    }
}
