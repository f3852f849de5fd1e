<?php

declare(strict_types=1);

namespace Stockade\Native;

use DateTimeImmutable;
use DateTimeZone;
use FFI;
use FFI\CData;
use Stockade\AuditReport;
use Stockade\Event;
use Stockade\EventKind;
use Stockade\Exception\Misuse;
use Stockade\Finding;
use Stockade\Hold;
use Stockade\HoldResult;
use Stockade\HoldStatus;
use Stockade\Order;
use Stockade\OrderStatus;
use Stockade\PaymentDisposition;
use Stockade\Product;
use Stockade\ProductPage;

/**
 * Converts a call's structs to objects.
 */
final class Reader
{
    public function __construct(private readonly Call $call)
    {
    }

    public function product(CData $product): Product
    {
        return new Product(
            $product->id,
            FFI::string(FFI::addr($product->name[0])),
            self::price($product->price_minor),
            $product->price_minor,
            $product->stock,
            $product->held,
            $product->pending,
            $product->sold,
            $product->version
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
            FFI::string(FFI::addr($hold->token[0])),
            $replayed
        );
    }

    public function order(CData $order, bool $replayed): Order
    {
        $ffi = $this->call->ffi;
        $disposition = $ffi->stockade_payment_disposition_name($order->payment_disposition);
        return new Order(
            $order->id,
            $order->hold_id,
            $order->product_id,
            $order->quantity,
            OrderStatus::from($ffi->stockade_order_status_name($order->status)),
            FFI::string(FFI::addr($order->payment_token[0])),
            PaymentDisposition::from($disposition),
            self::moment($order->created_at_us),
            self::moment($order->updated_at_us),
            $replayed
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

    /** @return list<Hold> */
    public function holds(CData $holds): array
    {
        return $this->list('holds', 'hold', $holds, fn (CData $hold): Hold => $this->hold($hold, false));
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
        $oldest = $sum->oldest_waiting_event_us;
        return new AuditReport(
            $sum->consistent === 1,
            $sum->products,
            $sum->received,
            $sum->stock,
            $sum->held,
            $sum->pending,
            $sum->sold,
            $sum->waiting_events,
            $oldest === 0 ? null : self::moment($oldest),
            $sum->products_due,
            $findings
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
            self::moment($event->at_us)
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

    private static function moment(int $micros): DateTimeImmutable
    {
        $seconds = intdiv($micros, 1_000_000);
        $rest = $micros - $seconds * 1_000_000;
        $utc = new DateTimeZone('UTC');
        $moment = DateTimeImmutable::createFromFormat('U.u', sprintf('%d.%06d', $seconds, $rest), $utc);
        if ($moment === false) {
            throw Misuse::because("{$micros} is no moment");
        }
        return $moment->setTimezone($utc);
    }

    /** Formats minor units as a decimal without trailing zeros. */
    public static function price(int $minor): string
    {
        $text = sprintf('%d.%02d', intdiv($minor, 100), $minor % 100);
        return rtrim(rtrim($text, '0'), '.');
    }
}
