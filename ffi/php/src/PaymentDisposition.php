<?php

declare(strict_types=1);

namespace Stockade;

/**
 * What became of money that did not simply pay an order.
 */
enum PaymentDisposition: string
{
    case None = 'none';
    case ReReserved = 're_reserved';
    case NeedsRefund = 'needs_refund';
    case AmountMismatch = 'amount_mismatch';
    case Refunded = 'refunded';
}
