<?php

declare(strict_types=1);

namespace Stockade;

/**
 * The kind of an event.
 */
enum EventKind: string
{
    case HoldCreated = 'hold.created';
    case HoldReleased = 'hold.released';
    case HoldExpired = 'hold.expired';
    case HoldExtended = 'hold.extended';
    case OrderCreated = 'order.created';
    case OrderPaid = 'order.paid';
    case OrderCancelled = 'order.cancelled';
    case PaymentConflict = 'payment.conflict';
    case PaymentNeedsRefund = 'payment.needs_refund';
    case StockAdjusted = 'stock.adjusted';
}
