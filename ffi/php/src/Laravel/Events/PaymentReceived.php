<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** An order was paid. */
final class PaymentReceived extends Message
{
}
