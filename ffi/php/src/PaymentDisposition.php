<?php

declare(strict_types=1);

namespace Stockade;

/**
 * What became of money that arrived after its order was cancelled.
 */
enum PaymentDisposition: string
{
    case None = 'none';
    case ReReserved = 're_reserved';
    case NeedsRefund = 'needs_refund';
}
