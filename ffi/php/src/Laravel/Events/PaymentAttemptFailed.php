<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** An attempt to pay failed; the buyer may try again. */
final class PaymentAttemptFailed extends Message
{
}
