<?php

declare(strict_types=1);

namespace Stockade;

/**
 * How a late payment, after the order was cancelled, was handled.
 */
enum PaymentDisposition: string
{
    case None = 'none';
    case ReReserved = 're_reserved';
    case NeedsRefund = 'needs_refund';
}
