<?php

declare(strict_types=1);

namespace Stockade\Native;

use DateTimeInterface;
use FFI;
use FFI\CData;
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
 * The library's lists, waiting payments and the erasure of customers, documented in {@see \Stockade\Client\ListCalls}.
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
        $call = new Call($this->handle);
        $query = $call->struct('stockade_hold_query');
        self::query($call, $query, $customer, $productId, $createdAfter, $createdBefore, $after, $limit);
        $query->status = $call->constant('hold_status', Arguments::word('status', $status, HoldStatus::class));
        $page = $call->make('stockade_hold_page *');
        $call->ask('holds', [FFI::addr($query), FFI::addr($page)], false);
        try {
            return (new Reader($call))->holdPage($page);
        } finally {
            $call->ffi->stockade_hold_page_free($page);
        }
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
        $call = new Call($this->handle);
        $query = $call->struct('stockade_order_query');
        self::query($call, $query, $customer, $productId, $createdAfter, $createdBefore, $after, $limit);
        $query->status = $call->constant('order_status', Arguments::word('status', $status, OrderStatus::class));
        $word = Arguments::word('disposition', $disposition, PaymentDisposition::class);
        $query->disposition = $call->constant('payment_disposition', $word);
        $query->reference = $call->text('reference', $reference);
        $query->payment_reference = $call->text('payment_reference', $paymentReference);
        $page = $call->make('stockade_order_page *');
        $call->ask('orders', [FFI::addr($query), FFI::addr($page)], false);
        try {
            return (new Reader($call))->orderPage($page);
        } finally {
            $call->ffi->stockade_order_page_free($page);
        }
    }

    public function waitingPayments(
        ?string $after = null,
        int|string|float|bool $limit = 100,
    ): WaitingPaymentPage {
        $call = new Call($this->handle);
        $page = $call->make('stockade_waiting_payments *');
        $arguments = [$call->text('after', $after), Arguments::limit($limit), FFI::addr($page)];
        $call->ask('waiting_payments', $arguments, false);
        try {
            return (new Reader($call))->waitingPayments($page);
        } finally {
            $call->ffi->stockade_waiting_payments_free($page);
        }
    }

    public function removeWaitingPayment(string $key): WaitingPayment
    {
        $call = new Call($this->handle);
        $payment = $call->struct('stockade_waiting_payment');
        $call->ask('remove_waiting_payment', [$call->text('key', $key), FFI::addr($payment)], false);
        return (new Reader($call))->waitingPayment($payment);
    }

    public function eraseCustomer(string $customer): Erased
    {
        $call = new Call($this->handle);
        $erased = $call->struct('stockade_erased');
        $call->ask('erase_customer', [$call->text('customer', $customer), FFI::addr($erased)], false);
        return new Erased($erased->holds, $erased->orders);
    }

    /** Sets what both queries have. */
    private static function query(
        Call $call,
        CData $query,
        ?string $customer,
        int|string|float|bool|null $productId,
        DateTimeInterface|string|null $createdAfter,
        DateTimeInterface|string|null $createdBefore,
        int|string|float|bool $after,
        int|string|float|bool $limit,
    ): void {
        $query->customer = $call->text('customer', $customer);
        if ($productId !== null) {
            $call->product($query, 'product_id', $productId);
        }
        $query->created_after_us = Arguments::moment('createdAfter', $createdAfter);
        $query->created_before_us = Arguments::moment('createdBefore', $createdBefore);
        $query->after = Arguments::id('after', $after);
        $query->limit = Arguments::limit($limit);
    }
}
