<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

use Stockade\Event;
use Stockade\EventKind;

/** The classes of the outbox's kinds. */
final class Events
{
    private function __construct()
    {
    }

    /**
     * What is dispatched for an event, in this order.
     *
     * @return list<StockadeEvent>
     */
    public static function of(Event $event): array
    {
        $messages = [new (self::classFor($event->kind))($event)];
        if (self::returnsStock($event->kind)) {
            $messages[] = new StockReturned($event);
        }
        return $messages;
    }

    /** @return class-string<StockadeEvent> */
    public static function classFor(EventKind $kind): string
    {
        return match ($kind) {
            EventKind::HoldCreated => HoldCreated::class,
            EventKind::HoldReleased => HoldReleased::class,
            EventKind::HoldExpired => HoldExpired::class,
            EventKind::HoldExtended => HoldExtended::class,
            EventKind::HoldChanged => HoldChanged::class,
            EventKind::OrderCreated => OrderCreated::class,
            EventKind::OrderPaid => PaymentReceived::class,
            EventKind::OrderCancelled => OrderCancelled::class,
            EventKind::OrderExtended => OrderExtended::class,
            EventKind::OrderRefunded => OrderRefunded::class,
            EventKind::OrderRestocked => OrderRestocked::class,
            EventKind::PaymentConflict => PaymentConflict::class,
            EventKind::PaymentNeedsRefund => PaymentNeedsRefund::class,
            EventKind::PaymentAttemptFailed => PaymentAttemptFailed::class,
            EventKind::PaymentAmountMismatch => PaymentAmountMismatch::class,
            EventKind::PaymentDuplicate => PaymentDuplicate::class,
            EventKind::PaymentDisputed => PaymentDisputed::class,
            EventKind::StockAdjusted => StockAdjusted::class,
            EventKind::ProductCreated => ProductCreated::class,
            EventKind::ProductChanged => ProductChanged::class,
            EventKind::ProductArchived => ProductArchived::class,
            EventKind::CustomerErased => CustomerErased::class,
        };
    }

    private static function returnsStock(EventKind $kind): bool
    {
        return match ($kind) {
            EventKind::HoldReleased,
            EventKind::HoldExpired,
            EventKind::OrderCancelled,
            EventKind::OrderRestocked => true,
            default => false,
        };
    }
}
