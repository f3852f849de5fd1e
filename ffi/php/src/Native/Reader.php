<?php

declare(strict_types=1);

namespace Stockade\Native;

use DateTimeImmutable;
use FFI;
use FFI\CData;
use Stockade\AuditReport;
use Stockade\Cart;
use Stockade\Event;
use Stockade\EventKind;
use Stockade\Finding;
use Stockade\Hold;
use Stockade\HoldPage;
use Stockade\HoldResult;
use Stockade\HoldStatus;
use Stockade\Input\Moment;
use Stockade\Order;
use Stockade\OrderLine;
use Stockade\OrderPage;
use Stockade\OrderStatus;
use Stockade\Outcome;
use Stockade\PaymentDisposition;
use Stockade\Product;
use Stockade\ProductPage;
use Stockade\PutResult;
use Stockade\WaitingPayment;
use Stockade\WaitingPaymentPage;

/**
 * Converts a call's structs to objects.
 */
final class Reader
{
    public function __construct(private readonly Call $call)
    {
    }

    public function product(CData $product, bool $replayed = false): Product
    {
        return new Product(
            $product->id,
            self::text($product->name),
            self::text($product->price),
            $product->price_minor,
            $product->stock,
            $product->held,
            $product->pending,
            $product->sold,
            $product->version,
            $product->returned,
            self::given($product->sku),
            self::text($product->currency),
            $product->in_stock,
            $product->safety_stock,
            self::moment($product->on_sale_from_us),
            self::moment($product->on_sale_until_us),
            $product->archived === 1,
            self::metadata(self::given($product->metadata)),
            $replayed
        );
    }

    public function hold(CData $hold, bool $replayed): Hold
    {
        return new Hold(
            $hold->id,
            $hold->product_id,
            $hold->quantity,
            HoldStatus::from($this->call->ffi->stockade_hold_status_name($hold->status)),
            self::moment($hold->expires_at_us),
            self::moment($hold->created_at_us),
            self::text($hold->token),
            $replayed,
            $hold->order_id === 0 ? null : $hold->order_id,
            $hold->cart_id === 0 ? null : $hold->cart_id,
            self::given($hold->sku),
            self::given($hold->customer),
            self::metadata(self::given($hold->metadata))
        );
    }

    public function order(CData $order, CData $lines, bool $replayed): Order
    {
        $ffi = $this->call->ffi;
        $disposition = $ffi->stockade_payment_disposition_name($order->payment_disposition);
        $hasOneLine = $order->line_count === 1;
        return new Order(
            $order->id,
            $hasOneLine ? $order->hold_id : null,
            $hasOneLine ? $order->product_id : null,
            $hasOneLine ? $order->quantity : null,
            OrderStatus::from($ffi->stockade_order_status_name($order->status)),
            self::text($order->payment_token),
            PaymentDisposition::from($disposition),
            self::moment($order->created_at_us),
            self::moment($order->updated_at_us),
            $this->list('order_lines', 'order_line', $lines, self::orderLine(...)),
            self::text($order->amount),
            $order->amount_minor,
            self::text($order->currency),
            self::text($order->refunded_amount),
            $order->refunded_minor,
            self::moment($order->pay_until_us),
            self::given($order->reference),
            $replayed,
            self::given($order->customer),
            self::metadata(self::given($order->metadata)),
            self::given($order->created_by)
        );
    }

    private static function orderLine(CData $line): OrderLine
    {
        return new OrderLine(
            $line->line,
            $line->hold_id,
            $line->product_id,
            self::given($line->sku),
            $line->quantity,
            self::text($line->price),
            $line->price_minor,
            $line->refunded,
            $line->returned
        );
    }

    public function products(CData $page): ProductPage
    {
        $next = $this->call->ffi->stockade_products_next($page);
        return new ProductPage(
            $this->list('products', 'product', $page, $this->product(...)),
            $next === 0 ? null : $next
        );
    }

    public function cart(CData $holds, bool $replayed): Cart
    {
        $cart = $this->call->struct('stockade_cart');
        $this->call->check(
            $this->call->ffi->stockade_holds_cart($holds, FFI::addr($cart), $this->call->errorOut)
        );
        return new Cart(
            $cart->id,
            self::text($cart->token),
            $this->list('holds', 'hold', $holds, fn (CData $hold): Hold => $this->hold($hold, false)),
            $replayed
        );
    }

    /** @return list<HoldResult> */
    public function holdResults(CData $results): array
    {
        [$ffi, $call] = [$this->call->ffi, $this->call];
        $hold = $call->struct('stockade_hold');
        [$place, $replayed] = [FFI::addr($hold), $call->replayedOut()];
        $count = $ffi->stockade_hold_results_count($results);
        $read = [];
        for ($index = 0; $index < $count; $index++) {
            $code = $ffi->stockade_hold_results_get($results, $index, $place, $replayed, $call->errorOut);
            $read[] = $code === 0
                ? HoldResult::held($this->hold($hold, $call->replayed()))
                : HoldResult::refused($call->exception($code));
        }
        return $read;
    }

    /** @return list<PutResult> */
    public function putResults(CData $results): array
    {
        [$ffi, $call] = [$this->call->ffi, $this->call];
        $product = $call->struct('stockade_product');
        [$place, $created] = [FFI::addr($product), $call->replayedOut()];
        $count = $ffi->stockade_put_results_count($results);
        $read = [];
        for ($index = 0; $index < $count; $index++) {
            $code = $ffi->stockade_put_results_get($results, $index, $place, $created, $call->errorOut);
            $read[] = $code === 0
                ? PutResult::put($this->product($product), $call->replayed())
                : PutResult::refused($call->exception($code));
        }
        return $read;
    }

    public function holdPage(CData $page): HoldPage
    {
        $next = $this->call->ffi->stockade_hold_page_next($page);
        $hold = fn (CData $hold): Hold => $this->hold($hold, false);
        return new HoldPage($this->list('hold_page', 'hold', $page, $hold), $next === 0 ? null : $next);
    }

    public function orderPage(CData $page): OrderPage
    {
        [$ffi, $call] = [$this->call->ffi, $this->call];
        $order = $call->struct('stockade_order');
        $count = $ffi->stockade_order_page_count($page);
        $read = [];
        for ($index = 0; $index < $count; $index++) {
            $lines = $call->make('stockade_order_lines *');
            [$place, $out] = [FFI::addr($order), FFI::addr($lines)];
            $call->check($ffi->stockade_order_page_get($page, $index, $place, $out, $call->errorOut));
            try {
                $read[] = $this->order($order, $lines, false);
            } finally {
                $ffi->stockade_order_lines_free($lines);
            }
        }
        $next = $ffi->stockade_order_page_next($page);
        return new OrderPage($read, $next === 0 ? null : $next);
    }

    public function waitingPayments(CData $page): WaitingPaymentPage
    {
        $payments = $this->list('waiting_payments', 'waiting_payment', $page, $this->waitingPayment(...));
        return new WaitingPaymentPage($payments, $this->call->ffi->stockade_waiting_payments_next($page));
    }

    public function waitingPayment(CData $payment): WaitingPayment
    {
        return new WaitingPayment(
            self::text($payment->key),
            $payment->order_id === 0 ? null : $payment->order_id,
            $payment->by_token === 1,
            Outcome::from($this->call->ffi->stockade_outcome_name($payment->outcome)),
            self::given($payment->amount),
            self::given($payment->currency),
            self::given($payment->payment_reference),
            self::moment($payment->received_at_us),
            self::moment($payment->ends_at_us),
            self::given($payment->order_reference)
        );
    }

    /** @return list<Event> */
    public function events(CData $events): array
    {
        return $this->list('events', 'event', $events, $this->event(...));
    }

    public function audit(CData $audit): AuditReport
    {
        [$ffi, $place] = [$this->call->ffi, $this->call->errorOut];
        $sum = $this->call->struct('stockade_audit_summary');
        $this->call->check($ffi->stockade_audit_read($audit, FFI::addr($sum), $place));
        $findings = [];
        $finding = $this->call->struct('stockade_finding');
        for ($index = 0; $index < $sum->findings; $index++) {
            $this->call->check($ffi->stockade_audit_finding($audit, $index, FFI::addr($finding), $place));
            $findings[] = new Finding($finding->check, $finding->id, $finding->detail);
        }
        return new AuditReport(
            $sum->consistent === 1,
            $sum->products,
            $sum->received,
            $sum->stock,
            $sum->held,
            $sum->pending,
            $sum->sold,
            $sum->waiting_events,
            self::moment($sum->oldest_waiting_event_us),
            $sum->products_due,
            $findings,
            $sum->returned
        );
    }

    private function event(CData $event): Event
    {
        return new Event(
            $event->cursor,
            EventKind::from($this->call->ffi->stockade_event_kind_name($event->kind)),
            $event->product_id,
            $event->hold_id === 0 ? null : $event->hold_id,
            $event->order_id === 0 ? null : $event->order_id,
            $event->quantity,
            $event->version,
            self::moment($event->at_us),
            $event->sku,
            $event->customer,
            $event->reason,
            self::metadata($event->metadata),
            $event->actor,
            $event->reference
        );
    }

    /**
     * @template T
     * @param callable(CData): T $make
     * @return list<T>
     */
    private function list(string $list, string $entry, CData $handle, callable $make): array
    {
        $ffi = $this->call->ffi;
        $struct = $this->call->struct("stockade_{$entry}");
        $count = $ffi->{"stockade_{$list}_count"}($handle);
        $read = [];
        for ($index = 0; $index < $count; $index++) {
            $this->call->check($ffi->{"stockade_{$list}_get"}(
                $handle,
                $index,
                FFI::addr($struct),
                $this->call->errorOut
            ));
            $read[] = $make($struct);
        }
        return $read;
    }

    /** A text within a struct. */
    private static function text(CData $field): string
    {
        return FFI::string(FFI::addr($field[0]));
    }

    /** A text within a struct; null for none, which is empty. */
    public static function given(CData $field): ?string
    {
        $text = self::text($field);
        return $text === '' ? null : $text;
    }

    /** @return ?array<string, mixed> */
    private static function metadata(?string $json): ?array
    {
        $flags = JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING;
        return $json === null ? null : json_decode($json, true, 512, $flags);
    }

    /** A moment; null for none, which is 0. */
    public static function moment(int $micros): ?DateTimeImmutable
    {
        return $micros === 0 ? null : Moment::at($micros);
    }
}
