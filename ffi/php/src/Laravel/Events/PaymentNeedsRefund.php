<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** Money came for an order that cannot have it: refund it. */
final class PaymentNeedsRefund extends Message
{
}
