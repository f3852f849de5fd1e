<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A customer's name was replaced everywhere. */
final class CustomerErased extends Message
{
}
