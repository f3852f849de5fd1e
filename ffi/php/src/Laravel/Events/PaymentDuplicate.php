<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** An order was paid twice: refund one payment. */
final class PaymentDuplicate extends Message
{
}
