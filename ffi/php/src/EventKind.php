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
    case HoldChanged = 'hold.changed';
    case OrderExtended = 'order.extended';
    case OrderRefunded = 'order.refunded';
    case OrderRestocked = 'order.restocked';
    case PaymentAttemptFailed = 'payment.attempt_failed';
    case PaymentAmountMismatch = 'payment.amount_mismatch';
    case PaymentDuplicate = 'payment.duplicate';
    case ProductCreated = 'product.created';
    case ProductChanged = 'product.changed';
    case ProductArchived = 'product.archived';
    case CustomerErased = 'customer.erased';
    case PaymentDisputed = 'payment.disputed';
}
